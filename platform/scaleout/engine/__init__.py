"""Engines that turn a loss into an optimiser step: DeepSpeed or plain torch, on any device."""
