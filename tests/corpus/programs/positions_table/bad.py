"""Sinusoidal positions are a plain attribute, so `.to` never moved them."""
import math

import torch
from torch import nn


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=64):
        super().__init__()
        position = torch.arange(max_len).unsqueeze(1)
        div = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(max_len, d_model)
        pe[:, 0::2] = torch.sin(position * div)
        pe[:, 1::2] = torch.cos(position * div)
        self.pe = pe

    def forward(self, x):
        return x + self.pe[: x.size(1)].to(x.device)  # expect: PA102


class Classifier(nn.Module):
    def __init__(self, vocab=50, d_model=32):
        super().__init__()
        self.embed = nn.Embedding(vocab, d_model)
        self.pos = PositionalEncoding(d_model)
        self.block = nn.TransformerEncoderLayer(d_model, 4, 64, dropout=0.0, batch_first=True)
        self.out = nn.Linear(d_model, 2)

    def forward(self, tokens):
        return self.out(self.block(self.pos(self.embed(tokens))).mean(1))


def train(model, batches, device):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for tokens, label in batches:
        tokens, label = tokens.to(device), label.to(device)
        loss = nn.functional.cross_entropy(model(tokens), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


if __name__ == "__main__":
    torch.manual_seed(5)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batches = [(torch.randint(50, (8, 12)), torch.randint(2, (8,))) for _ in range(11)]
    print(f"{train(Classifier().to(device), batches, device):.4f}")
