"""Tokenizers: any from Hugging Face, or a byte-level BPE trained on the corpus itself."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, BertTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast, RobertaTokenizer

from medvlp.data.foreign import plain_reasons
from medvlp.data.hub import reads_only_local_files
from medvlp.data.text import MINIMUM_VOCABULARY, SPECIAL_TOKENS
from medvlp.errors import ConfigurationError


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE with RoBERTa's conventions; the same texts give the same tokenizer.

    A text is read with a leading space, so that its first word gets the same tokens as anywhere else.

    Args:
        texts: Training texts; read once, never kept.
        vocabulary_size: Maximum number of tokens, including the 5 special ones and the 256 bytes.

    Raises:
        ConfigurationError: the vocabulary is too small for the bytes.
    """
    if vocabulary_size < MINIMUM_VOCABULARY:
        raise ConfigurationError(f"a vocabulary of {vocabulary_size} tokens is too small; set at least {MINIMUM_VOCABULARY}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=2,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    start, end = (("<s>", SPECIAL_TOKENS.index("<s>")), ("</s>", SPECIAL_TOKENS.index("</s>")))
    tokenizer.post_processor = processors.RobertaProcessing(end, start, trim_offsets=True, add_prefix_space=True)
    names = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", mask_token="<mask>", **names)


def load_tokenizer(folder_or_name: str | Path) -> PreTrainedTokenizerFast:
    """Load a fast tokenizer, with offsets, from a Hugging Face folder or name.

    A folder with only a vocabulary (``vocab.json`` and ``merges.txt``, or ``vocab.txt``) is read as RoBERTa's or BERT's.

    Raises:
        ConfigurationError: there is none, or it has no vocabulary, mask token, padding token or offsets.
    """
    folder = Path(folder_or_name)
    complete = any((folder / name).exists() for name in ("tokenizer.json", "tokenizer_config.json"))
    with plain_reasons(lambda why: ConfigurationError(f"no tokenizer at {folder_or_name}: {why}; give a Hugging Face folder or model")):
        if not complete and (folder / "merges.txt").exists():
            tokenizer = RobertaTokenizer.from_pretrained(folder, add_prefix_space=True)
        elif not complete and (folder / "vocab.txt").exists():
            tokenizer = BertTokenizer.from_pretrained(folder)
        else:
            name = str(folder_or_name)
            tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False, local_files_only=reads_only_local_files(name))
    if not isinstance(tokenizer, PreTrainedTokenizerFast) or tokenizer.mask_token_id is None or tokenizer.pad_token_id is None:
        raise ConfigurationError(f"the tokenizer of {folder_or_name} cannot be used: it needs offsets, a mask token and a padding token")
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):  # transformers makes one from the configuration of an encoder alone
        raise ConfigurationError(f"no tokenizer at {folder_or_name}: there is no vocabulary; give a Hugging Face folder or model")
    return tokenizer


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return a hash of the vocabulary: equal hashes mean equal token ids."""
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return hashlib.sha256(json.dumps(vocabulary).encode()).hexdigest()[:16]
