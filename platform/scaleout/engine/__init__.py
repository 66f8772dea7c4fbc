"""What turns a loss into an optimiser step: DeepSpeed, on any device."""
