"""Generation runs and their images: written, found again page by page, backed up, restored, equal to the byte."""
