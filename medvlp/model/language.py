"""The language encoder: RoBERTa or BERT without its pooler. Shapes: B texts, L tokens, W width."""

from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, BertConfig, BertModel, PreTrainedModel, RobertaConfig, RobertaModel

from medvlp.data.hub import reads_only_local_files
from medvlp.errors import ConfigurationError
from medvlp.model.config import LanguageConfig
from medvlp.model.hugging_face import clear_errors, load_published

_SIZES = {
    "architecture": "model_type",
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "feed_forward": "intermediate_size",
    "positions": "max_position_embeddings",
}
"""Sizes that the weights determine, and their names in transformers."""


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
    with clear_errors(source):
        published = AutoConfig.from_pretrained(source, local_files_only=reads_only_local_files(source))
    wanted = {name: getattr(config, name) for name in _SIZES}
    found = {name: getattr(published, theirs, None) for name, theirs in _SIZES.items()}
    if wanted != found or published.vocab_size < vocabulary:
        raise ConfigurationError(
            f"{source} has {found} and {published.vocab_size} tokens; model.language has {wanted} and the tokenizer {vocabulary}: "
            "set model.language to the sizes of the weights and data.tokenizer to the tokenizer they were trained with"
        )
    dropout = {"hidden_dropout_prob": config.dropout, "attention_probs_dropout_prob": config.dropout}
    return load_published(AutoModel, source, add_pooling_layer=False, **dropout)
