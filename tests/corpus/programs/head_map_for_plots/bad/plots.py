import numpy as np


class AttentionPlot:
    """Keeps one head's map of the first sample, for a figure at the end."""

    def __init__(self, head=0):
        self.head, self.maps = head, []

    def add(self, attention):
        self.maps.append(attention.detach().cpu()[0, self.head].numpy())  # expect: PA105

    def figure(self):
        return np.stack(self.maps).std()
