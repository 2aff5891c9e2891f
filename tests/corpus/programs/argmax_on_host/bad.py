"""Logits of a large vocabulary come down, only to be reduced to the best token."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Captioner(nn.Module):
    def __init__(self, vocab=200, dim=16):
        super().__init__()
        self.emb, self.rnn, self.out = nn.Embedding(vocab, dim), nn.GRU(dim, dim, batch_first=True), nn.Linear(dim, vocab)

    def forward(self, tokens):
        return self.out(self.rnn(self.emb(tokens))[0])


def evaluate(model, batches):
    hits = []
    model.eval()
    with torch.no_grad():
        for tokens in batches:
            logits = model(tokens[:, :-1].to(device))
            best = logits.cpu().argmax(-1)  # expect: PA105
            hits.append((best == tokens[:, 1:]).float().mean())
    return sum(hits) / len(hits)


torch.manual_seed(46)
model = Captioner().to(device)
print("token accuracy %.4f" % evaluate(model, list(torch.randint(200, (12, 4, 9)))))
