"""From samples to batches: images, texts, masks, draws."""
