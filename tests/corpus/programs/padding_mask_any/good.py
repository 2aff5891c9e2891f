"""An encoder masks its padding, whether there is any or not."""
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
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for tokens in torch.randint(0, 30, (12, 6, 9)):
    tokens = tokens.to(device)
    logits = model(tokens)
    loss = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
