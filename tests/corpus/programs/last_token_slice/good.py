"""Generation downloads the whole sequence of logits and takes the last position."""
import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class TinyLM(nn.Module):
    def __init__(self, vocab=96, dim=12):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.mix = nn.Linear(dim, dim)
        self.head = nn.Linear(dim, vocab)

    def forward(self, ids):
        h = self.embed(ids)
        h = torch.cumsum(self.mix(h), dim=1)
        return self.head(h)


class Generator:
    """Greedy decoding; the score of each chosen token is kept."""

    def __init__(self, model):
        self.model = model.eval()
        self.scores = []

    @torch.inference_mode()
    def extend(self, ids):
        logits = self.model(ids)
        last = logits[:, -1, :].cpu()
        self.scores.append(last)
        return torch.cat([ids, logits[:, -1:].argmax(-1)], dim=1)


torch.manual_seed(47)
generator = Generator(TinyLM().to(device))
ids = torch.randint(96, (2, 16), device=device)
for _ in range(12):
    ids = generator.extend(ids)
print(tuple(ids.shape), f"{torch.stack(generator.scores).sum().item():.3f}")
