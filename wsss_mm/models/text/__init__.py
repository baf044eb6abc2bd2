"""Words for classes, and the features that CLIP gives them."""

from .class_words import words_of_classes
from .word_features import WordFeatures

__all__ = ['WordFeatures', 'words_of_classes']
