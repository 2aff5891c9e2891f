"""Generation runs until every sequence has ended: the host has to know."""
import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PAD = 0


class Encoder(nn.Module):
    def __init__(self, vocab=30, dim=12):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.mix = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, vocab)

    def forward(self, tokens):
        x = self.embed(tokens)
        padded = tokens.eq(PAD)
        x = x * (~padded).unsqueeze(-1)
        x = x + self.mix(x.cumsum(1)).tanh()
        return self.out(x)


torch.manual_seed(347)
model = Encoder().to(device)
tokens = torch.randint(1, 30, (4, 2)).to(device)
done = torch.zeros(4, dtype=torch.bool, device=device)
with torch.no_grad():
    while not done.all() and tokens.size(1) < 16:  # expect: PA201 info
        following = model(tokens)[:, -1].argmax(-1)
        done |= following == 7
        tokens = torch.cat([tokens, following[:, None]], dim=1)
print(tokens.sum().item())
