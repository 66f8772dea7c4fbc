"""From a text to the concepts that it mentions."""
