"""Images that occur twice: perceptual hashes and what they find."""
