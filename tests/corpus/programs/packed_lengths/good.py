"""A sentence encoder: lengths stay where packing needs them."""
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

device = "cuda" if torch.cuda.is_available() else "cpu"


@dataclass
class Batch:
    tokens: torch.Tensor
    lengths: torch.Tensor
    labels: torch.Tensor

    def to(self, where):
        return Batch(self.tokens.to(where), self.lengths, self.labels.to(where))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 10, padding_idx=0)
        self.rnn = nn.GRU(10, 12, batch_first=True)
        self.out = nn.Linear(12, 3)

    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(self.embed(tokens), lengths, batch_first=True)
        _, hidden = self.rnn(packed)
        return self.out(hidden[-1])


def batches(n, generator):
    for _ in range(n):
        lengths = torch.randint(2, 9, (6,), generator=generator).sort(descending=True).values
        rows = [torch.randint(1, 50, (int(k),), generator=generator) for k in lengths]
        labels = torch.randint(3, (6,), generator=generator)
        yield Batch(pad_sequence(rows, batch_first=True), lengths, labels)


torch.manual_seed(305)
model = Encoder().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
data = list(batches(14, torch.Generator().manual_seed(5)))
for batch in data:
    batch = batch.to(device)
    loss = nn.functional.cross_entropy(model(batch.tokens, batch.lengths), batch.labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
