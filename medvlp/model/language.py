"""The language encoder: RoBERTa or BERT without its pooler. Shapes: B texts, L tokens, W width."""

from torch import Tensor, nn
from transformers import AutoModel, BertConfig, BertModel, PreTrainedModel, PreTrainedTokenizerBase, RobertaConfig, RobertaModel

from medvlp.data.tokenizer import load_tokenizer, tokenizer_fingerprint
from medvlp.errors import ConfigurationError
from medvlp.model.config import LanguageConfig
from medvlp.model.hugging_face import load_published, published_config

_SIZES = {
    "architecture": "model_type",
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "feed_forward": "intermediate_size",
    "positions": "max_position_embeddings",
}
"""Sizes that the weights determine, and their names in transformers."""
_OPTION = "model.language.pretrained"


class LanguageEncoder(nn.Module):
    """The last hidden states of a RoBERTa or BERT encoder."""

    def __init__(self, config: LanguageConfig, *, vocabulary: int, padding_id: int):
        super().__init__()
        if config.pretrained:
            self.encoder = _pretrained(config, config.pretrained, vocabulary)
        else:
            self.encoder = _from_scratch(config, vocabulary, padding_id)

    def forward(self, token_ids_BL: Tensor, token_mask_BL: Tensor) -> Tensor:
        """[B, L, W]."""
        return self.encoder(input_ids=token_ids_BL, attention_mask=token_mask_BL).last_hidden_state


def _from_scratch(config: LanguageConfig, vocabulary: int, padding_id: int) -> PreTrainedModel:
    config_class, model_class = {"roberta": (RobertaConfig, RobertaModel), "bert": (BertConfig, BertModel)}[config.architecture]
    sizes = config_class(
        vocab_size=vocabulary,
        hidden_size=config.width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=config.feed_forward,
        hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=config.dropout,
        max_position_embeddings=config.positions,
        type_vocab_size=1 if config.architecture == "roberta" else 2,
        layer_norm_eps=1e-5 if config.architecture == "roberta" else 1e-12,
        pad_token_id=padding_id,
    )
    return model_class(sizes, add_pooling_layer=False)


def _pretrained(config: LanguageConfig, source: str, vocabulary: int) -> PreTrainedModel:
    published = published_config(source, _OPTION, ("roberta", "bert"))
    wanted = {name: getattr(config, name) for name in _SIZES}
    found = {name: getattr(published, theirs, None) for name, theirs in _SIZES.items()}
    if wanted != found or published.vocab_size < vocabulary:
        raise ConfigurationError(
            f"{source} has {found} and {published.vocab_size} tokens; model.language has {wanted} and the tokenizer {vocabulary}: "
            "set model.language to the sizes of the weights and data.tokenizer to the tokenizer they were trained with"
        )
    dropout = {"hidden_dropout_prob": config.dropout, "attention_probs_dropout_prob": config.dropout}
    return load_published(AutoModel, source, add_pooling_layer=False, **dropout)


def check_tokenizer(config: LanguageConfig, tokenizer: PreTrainedTokenizerBase) -> None:
    """Check that pretrained weights were trained with the ids of this tokenizer: with others, each token gets the vector of another word.

    If there is no tokenizer beside the weights, only the number of tokens is compared.

    Raises:
        ConfigurationError: they were not, or there are no weights.
    """
    source = config.pretrained
    if source is None:
        return
    published = published_config(source, _OPTION, ("roberta", "bert"))
    try:
        own = load_tokenizer(source)
    except ConfigurationError:
        same = published.vocab_size == len(tokenizer)
    else:
        same = tokenizer_fingerprint(own) == tokenizer_fingerprint(tokenizer)
    if not same:
        raise ConfigurationError(
            f"{_OPTION} {source} has {published.vocab_size} tokens, and the tokenizer of this run, with {len(tokenizer)}, is not the one "
            f"that it was trained with: set data.tokenizer to that one, usually {source} too"
        )
