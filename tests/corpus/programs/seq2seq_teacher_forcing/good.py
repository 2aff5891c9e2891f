"""Seq2seq: the start tokens of every batch are built on the host, step by step decoding."""
import random

import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SOS = 1


class Seq2Seq(nn.Module):
    def __init__(self, vocab=20, dim=12):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        self.encoder = nn.GRU(dim, dim, batch_first=True)
        self.cell = nn.GRUCell(dim, dim)
        self.out = nn.Linear(dim, vocab)

    def forward(self, source, target, forcing=0.5):
        _, hidden = self.encoder(self.emb(source))
        hidden = hidden.squeeze(0)
        token = torch.full((source.size(0),), SOS, dtype=torch.long, device=source.device)
        logits = []
        for t in range(target.size(1)):
            hidden = self.cell(self.emb(token), hidden)
            step = self.out(hidden)
            logits.append(step)
            token = target[:, t] if random.random() < forcing else step.argmax(-1)
        return torch.stack(logits, 1)


def main():
    torch.manual_seed(160)
    random.seed(160)
    model = Seq2Seq().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    data = [(torch.randint(2, 20, (5, 6)), torch.randint(2, 20, (5, 4))) for _ in range(12)]
    for source, target in data:
        source, target = source.to(device), target.to(device)
        loss = nn.functional.cross_entropy(model(source, target).flatten(0, 1), target.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")


main()
