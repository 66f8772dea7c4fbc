"""Parameter names of the authors' models (METER, M3AE, ARL), and the names used here.

M3AE renamed METER's parameters and added masked images; ARL added the knowledge.
"""

import re
from dataclasses import dataclass

_METER = (
    (r"vit_model\.", "vision_encoder."),
    (r"text_transformer\.", "language_encoder."),
    (r"cross_modal_text_transform\.", "multi_modal_language_proj."),
    (r"cross_modal_image_transform\.", "multi_modal_vision_proj."),
    (r"cross_modal_text_(layers|pooler)\.", r"multi_modal_language_\1."),
    (r"cross_modal_image_(layers|pooler)\.", r"multi_modal_vision_\1."),
    (r"token_type_embeddings\.", "modality_type_embeddings."),
    (r"(mlm|itm)_score\.", r"\1_head."),
    (r"vqa_classifier\.", "vqa_head."),
    (r"rank_output\.", "irtr_head."),
)
"""Name prefixes of METER and ARL."""

_CLIP_BLOCK = (
    (r"attn\.out_proj\.(\w+)", r"self_attn.out_proj.\1"),
    (r"ln_([12])\.(\w+)", r"layer_norm\1.\2"),
    (r"mlp\.c_fc\.(\w+)", r"mlp.fc1.\1"),
    (r"mlp\.c_proj\.(\w+)", r"mlp.fc2.\1"),
)

_ATTENTION = (
    (r"self\.(query|key|value)\.(\w+)", r"\1.\2"),
    (r"output\.dense\.(\w+)", r"output.\1"),
    (r"output\.LayerNorm\.(\w+)", r"norm.\1"),
)

_FEED_FORWARD = (
    (r"intermediate\.dense\.(\w+)", r"feed_forward.hidden.\1"),
    (r"output\.dense\.(\w+)", r"feed_forward.output.\1"),
    (r"output\.LayerNorm\.(\w+)", r"feed_forward.norm.\1"),
)

_HEAD = ((r"0\.(\w+)", r"hidden.\1"), (r"1\.(\w+)", r"norm.\1"), (r"3\.(\w+)", r"output.\1"))


def _inside(theirs: str, ours: str, rules: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return the rules for names inside ``theirs``, a pattern with at most one group (the layer number)."""
    shift = re.compile(theirs).groups

    def shifted(template: str) -> str:
        return re.sub(r"\\(\d)", lambda match: f"\\{int(match[1]) + shift}", template)

    return tuple((theirs + pattern, ours + shifted(template)) for pattern, template in rules)


def _fusion(theirs: str, stream: str) -> tuple[tuple[str, str], ...]:
    layer, ours = rf"multi_modal_{theirs}_layers\.(\d+)\.", r"arl.fusion.layers.\1."
    return (
        *_inside(layer + r"attention\.", ours + f"{stream}_self_attention.", _ATTENTION),
        *_inside(layer + r"crossattention\.", ours + f"{stream}_cross_attention.", _ATTENTION),
        *_inside(layer, ours + f"{stream}_", _FEED_FORWARD),
    )


_LAYER = r"multi_modal_language_layers\.(\d+)\."
_PATH = r"arl.fusion.layers.\1.knowledge."

_RULES = (
    (r"vision_encoder\.visual\.class_embedding", "arl.vision.embeddings.class_embedding"),
    (r"vision_encoder\.visual\.positional_embedding", "arl.vision.embeddings.position_embedding.weight"),
    (r"vision_encoder\.visual\.conv1\.weight", "arl.vision.embeddings.patch_embedding.weight"),
    (r"vision_encoder\.visual\.ln_pre\.(\w+)", r"arl.vision.input_norm.\1"),
    (r"vision_encoder\.visual\.ln_post\.(\w+)", r"arl.vision.output_norm.\1"),
    *_inside(r"vision_encoder\.visual\.transformer\.resblocks\.(\d+)\.", r"arl.vision.encoder.layers.\1.", _CLIP_BLOCK),
    (r"language_encoder\.(embeddings\.\w+\.\w+|encoder\..+)", r"arl.language.encoder.\1"),
    (r"multi_modal_language_proj\.(\w+)", r"arl.text_projection.\1"),
    (r"multi_modal_vision_proj\.(\w+)", r"arl.image_projection.\1"),
    (r"modality_type_embeddings\.weight", "arl.stream_type.weight"),
    *_fusion("language", "text"),
    *_fusion("vision", "image"),
    *_inside(_LAYER + r"knowledge_attention\.", _PATH + "self_attention.", _ATTENTION),
    *_inside(_LAYER + r"knowledge_crossattention\.", _PATH + "cross_attention.", _ATTENTION),
    *_inside(_LAYER + "knowledge_", _PATH, _FEED_FORWARD),
    (_LAYER + r"image2knowledge\.(\w+)", _PATH + r"image_to_knowledge.\2"),
    (_LAYER + r"knowledge2text\.(\w+)", _PATH + r"knowledge_to_text.\2"),
    (_LAYER + r"knowledge_fusion_output\.dense\.(\w+)", r"arl.fusion.layers.\1.knowledge_output.\2"),
    (_LAYER + r"knowledge_fusion_output\.LayerNorm\.(\w+)", r"arl.fusion.layers.\1.knowledge_norm.\2"),
    (r"multi_modal_language_pooler\.dense\.(\w+)", r"arl.text_pooler.\1"),
    (r"multi_modal_vision_pooler\.dense\.(\w+)", r"arl.image_pooler.\1"),
    (r"mlm_head\.transform\.dense\.(\w+)", r"masked_language.hidden.\1"),
    (r"mlm_head\.transform\.LayerNorm\.(\w+)", r"masked_language.norm.\1"),
    (r"mlm_head\.decoder\.weight", "masked_language.output.weight"),
    (r"mlm_head\.bias", "masked_language.output.bias"),
    (r"mim_head\.mask_token", "masked_image.mask_token.weight"),
    (r"mim_head\.decoder_embed\.(\w+)", r"masked_image.input.\1"),
    *_inside(r"mim_head\.decoder\.resblocks\.(\d+)\.", r"masked_image.blocks.\1.", _CLIP_BLOCK),
    (r"mim_head\.decoder_norm\.(\w+)", r"masked_image.norm.\1"),
    (r"mim_head\.decoder_pred\.(\w+)", r"masked_image.output.\1"),
    (r"itm_head\.fc\.(\w+)", r"matching.\1"),
    (r"align_head\.x", "arl.knowledge.embedding.weight"),
    (r"align_head\.embedding_ln\.(\w+)", r"arl.knowledge.norm.\1"),
    # A graph convolution has one matrix for both ends of an edge; old versions of its library saved it under both names.
    (r"align_head\.conv1\.lin(?:_src)?\.(\w+)", r"arl.knowledge.hidden.lin.\1"),
    (r"align_head\.conv2\.lin(?:_src)?\.(\w+)", r"arl.knowledge.output.lin.\1"),
    (r"align_head\.conv1\.(att_src|att_dst|bias)", r"arl.knowledge.hidden.\1"),
    (r"align_head\.conv2\.(att_src|att_dst|bias)", r"arl.knowledge.output.\1"),
    (r"align_head\.img_linear1\.(\w+)", r"image_alignment.hidden.\1"),
    (r"align_head\.img_linear2\.(\w+)", r"image_alignment.output.\1"),
    (r"align_head\.txt_linear1\.(\w+)", r"text_alignment.hidden.\1"),
    (r"align_head\.txt_linear2\.(\w+)", r"text_alignment.output.\1"),
    *_inside(r"vqa_head\.", "answering.", _HEAD),
    *_inside(r"cls_head\.", "classification.", _HEAD),
    (r"irtr_head\.(\w+)", r"ranking.\1"),
)

_SPLIT = (
    (r"vision_encoder\.visual\.transformer\.resblocks\.(\d+)\.attn\.in_proj_(\w+)", r"arl.vision.encoder.layers.\1.self_attn.{}_proj.\2"),
    (r"mim_head\.decoder\.resblocks\.(\d+)\.attn\.in_proj_(\w+)", r"masked_image.blocks.\1.self_attn.{}_proj.\2"),
)
"""Queries, keys and values in one tensor, in this order."""

_UNUSED = (
    (r"vision_encoder\.(positional_embedding|token_embedding|ln_final|text_projection|logit_scale|transformer)\b.*", "CLIP's text encoder"),
    (r"vision_encoder\.visual\.proj", "CLIP's projection to the space that it shares with texts"),
    (r"language_encoder\.pooler\..+", "the pooler of the language encoder"),
    (r"language_encoder\.embeddings\.(position_ids|token_type_ids)", "a constant"),
    (r"mim_head\.decoder_pos_embed", "a constant"),
    (r"align_head\.edge_index", "the graph comes with the knowledge bundle"),
    (r"align_head\.conv[12]\.lin_dst\.\w+", "the same matrix as lin_src"),
    (r"(nlvr2|snli)_classifier\..+", "the head of a task that is not medical"),
    (r"(train|val|test|dev)_\w+\.(\w+)", "a running metric"),
)


@dataclass(frozen=True)
class Place:
    """The destination of a checkpoint parameter."""

    ours: tuple[str, ...] = ()
    """One name; three if queries, keys and values are one tensor in the checkpoint; none if it is not used."""
    unused: str = ""
    """The reason why it is not used."""


def place_of(theirs: str) -> Place | None:
    """Return the destination of the parameter ``theirs``; None for a name that is unknown in the family."""
    for pattern, replacement in _METER:
        renamed, count = re.subn(f"^{pattern}", replacement, theirs)
        if count:
            theirs = renamed
            break
    for pattern, template in _RULES:
        if match := re.fullmatch(pattern, theirs):
            return Place((match.expand(template),))
    for pattern, template in _SPLIT:
        if match := re.fullmatch(pattern, theirs):
            return Place(tuple(match.expand(template.format(part)) for part in "qkv"))
    for pattern, reason in _UNUSED:
        if re.fullmatch(pattern, theirs):
            return Place(unused=reason)
    return None
