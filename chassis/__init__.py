"""What all five processes share: mechanism only, never the vocabulary of one service."""
