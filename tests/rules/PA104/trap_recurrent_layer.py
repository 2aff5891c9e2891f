"""What a recurrent layer takes is read, be the layer computed as a whole."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
layers = nn.LSTM(16, 16).to(device), nn.GRU(16, 16).to(device), nn.RNN(16, 16).to(device)
optimizer = torch.optim.SGD([p for layer in layers for p in layer.parameters()], lr=0.01)
for x, h in zip(torch.randn(12, 5, 8, 16), torch.randn(12, 1, 8, 16)):
    x, h, c = x.to(device), h.to(device), (h * 0.5).to(device)
    loss = layers[0](x, (h, c))[0].square().mean()
    loss = loss + sum(layer(x, h)[0].square().mean() for layer in layers[1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
