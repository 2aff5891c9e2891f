"""The twin of train.py: positions are made where the input is, losses add up on the device."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

LENGTH, WORDS, WIDTH = 32, 100, 64


class Tagger(nn.Module):
    """Embedded words and their positions, and a class for each."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.places = nn.Embedding(LENGTH, WIDTH)
        self.mix = nn.TransformerEncoderLayer(WIDTH, 4, 128, dropout=0.0, batch_first=True)
        self.out = nn.Linear(WIDTH, WORDS)

    def forward(self, words):
        places = torch.arange(words.shape[1], device=words.device)
        return self.out(self.mix(self.words(words) + self.places(places)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=6)
    args = parser.parse_args()
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    texts = torch.randint(WORDS, (256, LENGTH))
    data = TensorDataset(texts, texts.cumsum(1) % WORDS)
    loader = DataLoader(data, 16, shuffle=True, pin_memory=device == "cuda")
    model = nn.DataParallel(Tagger().to(device))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for epoch in range(args.epochs):
        total = torch.zeros((), device=device)
        for words, tags in loader:
            words = words.to(device, non_blocking=True)
            tags = tags.to(device, non_blocking=True)
            loss = nn.functional.cross_entropy(model(words).flatten(0, 1), tags.flatten())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        print(f"epoch {epoch}: loss {total.item() / len(loader):.3f}")


if __name__ == "__main__":
    main()
