"""A tiny model of ours, saved under the names of the authors' family."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from medvlp.tasks.pretrain.module import PretrainingModule

METER = {
    "vision_encoder": "vit_model",
    "language_encoder": "text_transformer",
    "multi_modal_language_proj": "cross_modal_text_transform",
    "multi_modal_vision_proj": "cross_modal_image_transform",
    "multi_modal_language_layers": "cross_modal_text_layers",
    "multi_modal_vision_layers": "cross_modal_image_layers",
    "multi_modal_language_pooler": "cross_modal_text_pooler",
    "multi_modal_vision_pooler": "cross_modal_image_pooler",
    "modality_type_embeddings": "token_type_embeddings",
    "mlm_head": "mlm_score",
    "itm_head": "itm_score",
}


def arl_state(task: PretrainingModule, matrix: str = "lin") -> dict[str, Tensor]:
    """As ARL saves it; ``matrix`` is what its graph library called the matrix of a convolution."""
    arl = task.arl
    assert task.masked_language is not None
    assert task.masked_image is not None
    assert task.matching is not None
    state = dict(_modules("multi_modal_language_proj", arl.text_projection))
    state |= _modules("multi_modal_vision_proj", arl.image_projection)
    state |= _modules("modality_type_embeddings", arl.stream_type)
    state |= _modules("multi_modal_language_pooler.dense", arl.text_pooler)
    state |= _modules("multi_modal_vision_pooler.dense", arl.image_pooler)
    vision, clip = arl.vision, "vision_encoder.visual"
    state[f"{clip}.class_embedding"] = vision.embeddings.class_embedding
    state[f"{clip}.positional_embedding"] = vision.embeddings.position_embedding.weight
    state[f"{clip}.conv1.weight"] = vision.embeddings.patch_embedding.weight
    state |= _modules(f"{clip}.ln_pre", vision.input_norm)
    state |= _modules(f"{clip}.ln_post", vision.output_norm)
    state |= _clip_blocks(f"{clip}.transformer", vision.encoder.layers)
    state |= _modules("language_encoder", arl.language.encoder)
    for index, layer in enumerate(arl.fusion.layers):
        text, image = f"multi_modal_language_layers.{index}", f"multi_modal_vision_layers.{index}"
        state |= _bert(text, layer.text_self_attention, layer.text_cross_attention, layer.text_feed_forward)
        state |= _bert(image, layer.image_self_attention, layer.image_cross_attention, layer.image_feed_forward)
        state |= _modules(f"{text}.knowledge_fusion_output.dense", layer.knowledge_output)
        state |= _modules(f"{text}.knowledge_fusion_output.LayerNorm", layer.knowledge_norm)
        path = layer.knowledge
        if path is not None:
            state |= _attention(f"{text}.knowledge_attention", path.self_attention)
            state |= _attention(f"{text}.knowledge_crossattention", path.cross_attention)
            state |= _modules(f"{text}.image2knowledge", path.image_to_knowledge)
            state |= _modules(f"{text}.knowledge2text", path.knowledge_to_text)
            if path.feed_forward is not None:
                state |= _feed_forward(f"{text}.knowledge_", path.feed_forward)
    language = task.masked_language
    state |= _modules("mlm_head.transform.dense", language.hidden)
    state |= _modules("mlm_head.transform.LayerNorm", language.norm)
    state |= {"mlm_head.decoder.weight": language.output.weight, "mlm_head.bias": language.output.bias}
    decoder = task.masked_image
    state |= {"mim_head.mask_token": decoder.mask_token.weight[None], "mim_head.decoder_pos_embed": decoder.positions[None]}
    state |= _modules("mim_head.decoder_embed", decoder.input)
    state |= _clip_blocks("mim_head.decoder", decoder.blocks)
    state |= _modules("mim_head.decoder_norm", decoder.norm)
    state |= _modules("mim_head.decoder_pred", decoder.output)
    state |= _modules("itm_head.fc", task.matching)
    state |= _alignment(task, matrix)
    # What their model has and nobody uses.
    state |= {"vision_encoder.token_embedding.weight": torch.zeros(3, 2), "vision_encoder.ln_final.bias": torch.zeros(2)}
    state |= {"language_encoder.pooler.dense.weight": torch.zeros(2, 2), "language_encoder.embeddings.position_ids": torch.zeros(1, 4)}
    return {name: value.detach().clone() for name, value in state.items()}


def m3ae_state(task: PretrainingModule) -> dict[str, Tensor]:
    """As M3AE saves it: no knowledge."""
    return {name: value for name, value in arl_state(task).items() if not any(word in name for word in ("knowledge", "align_head"))}


def meter_state(task: PretrainingModule) -> dict[str, Tensor]:
    """As METER saves it: no masked images either, and names of its own."""
    kept = {name: value for name, value in m3ae_state(task).items() if not name.startswith("mim_head")}
    return {METER[name.split(".")[0]] + name.removeprefix(name.split(".")[0]): value for name, value in kept.items()}


def _alignment(task: PretrainingModule, matrix: str) -> Iterator[tuple[str, Tensor]]:
    knowledge = task.arl.knowledge
    assert task.image_alignment is not None
    assert task.text_alignment is not None
    yield "align_head.x", knowledge.embedding.weight
    yield "align_head.edge_index", knowledge.edges_2M
    yield from _modules("align_head.embedding_ln", knowledge.norm)
    for name, convolution in (("conv1", knowledge.hidden), ("conv2", knowledge.output)):
        for part in ("att_src", "att_dst", "bias"):
            yield f"align_head.{name}.{part}", getattr(convolution, part)
        yield f"align_head.{name}.{matrix}.weight", convolution.lin.weight
        if matrix == "lin_src":
            yield f"align_head.{name}.lin_dst.weight", convolution.lin.weight
    for side, head in (("img", task.image_alignment), ("txt", task.text_alignment)):
        yield from _modules(f"align_head.{side}_linear1", head.hidden)
        yield from _modules(f"align_head.{side}_linear2", head.output)


def _bert(name: str, self_attention: nn.Module, cross_attention: nn.Module, feed_forward: nn.Module) -> dict[str, Tensor]:
    return {
        **_attention(f"{name}.attention", self_attention),
        **_attention(f"{name}.crossattention", cross_attention),
        **_feed_forward(f"{name}.", feed_forward),
    }


def _attention(name: str, attention: nn.Module) -> dict[str, Tensor]:
    parts = {f"{name}.self.{part}": attention.get_submodule(part) for part in ("query", "key", "value")}
    parts |= {f"{name}.output.dense": attention.get_submodule("output"), f"{name}.output.LayerNorm": attention.get_submodule("norm")}
    return {theirs: value for part, module in parts.items() for theirs, value in _modules(part, module)}


def _feed_forward(prefix: str, block: nn.Module) -> dict[str, Tensor]:
    parts = {"intermediate.dense": "hidden", "output.dense": "output", "output.LayerNorm": "norm"}
    return {name: value for theirs, ours in parts.items() for name, value in _modules(prefix + theirs, block.get_submodule(ours))}


def _clip_blocks(name: str, blocks: nn.ModuleList) -> Iterator[tuple[str, Tensor]]:
    for index, block in enumerate(blocks):
        theirs, attention = f"{name}.resblocks.{index}", block.get_submodule("self_attn")
        for kind in ("weight", "bias"):
            queries, keys, values = (attention.get_parameter(f"{part}_proj.{kind}") for part in "qkv")
            yield f"{theirs}.attn.in_proj_{kind}", torch.cat([queries, keys, values])
        parts = {
            "attn.out_proj": "self_attn.out_proj",
            "ln_1": "layer_norm1",
            "ln_2": "layer_norm2",
            "mlp.c_fc": "mlp.fc1",
            "mlp.c_proj": "mlp.fc2",
        }
        for part, ours in parts.items():
            yield from _modules(f"{theirs}.{part}", block.get_submodule(ours))


def _modules(name: str, module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return ((f"{name}.{part}", value) for part, value in module.named_parameters())
