"""Embeddings are downloaded in single precision and stored in half."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


@torch.no_grad()
def index_corpus(encoder, batches):
    store = []
    for batch in batches:
        vectors = nn.functional.normalize(encoder(batch.to(device)), dim=-1)
        store.append(vectors.cpu().half())  # expect: PA107
    return torch.cat(store)


torch.manual_seed(57)
encoder = nn.Sequential(nn.Linear(20, 48), nn.GELU(), nn.Linear(48, 64)).to(device).eval()
index = index_corpus(encoder, torch.randn(14, 32, 20))
print(index.dtype, f"{index.float().sum().item():.2f}")
