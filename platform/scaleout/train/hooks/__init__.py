"""What watches the loop: samples, non-finite gradients, spikes, hangs."""
