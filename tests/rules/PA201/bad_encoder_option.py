import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(16, 1)
        mask = nn.Transformer.generate_square_subsequent_mask(8)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x):
        hidden = self.encoder(x, mask=self.mask)  # expect: PA201
        return self.head(hidden)


model = Reader().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x = torch.randn(4, 8, 16, device=device)
for _ in range(24):
    optimizer.zero_grad()
    model(x).square().mean().backward()
    optimizer.step()
