"""An attention mask is moved in every step of an evaluation; the model ignores it."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(25, 16)
        self.out = nn.Linear(16, 3)

    def forward(self, input_ids, attention_mask=None):
        return self.out(self.emb(input_ids).mean(1))


@torch.no_grad()
def predict(model, batches):
    for batch in batches:
        input_ids = batch["input_ids"].to(device)
        attention_mask = batch["attention_mask"].to(device)  # expect: PA104
        yield model(input_ids, attention_mask=attention_mask).argmax(-1)


torch.manual_seed(44)
model = Encoder().to(device).eval()
batches = [{"input_ids": torch.randint(25, (4, 10)), "attention_mask": torch.rand(4, 10)} for _ in range(12)]
print(torch.stack(list(predict(model, batches))).sum().item())
