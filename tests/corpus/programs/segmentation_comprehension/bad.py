"""Per-scale coordinate grids are made in a comprehension."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class CoordConv(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.conv = nn.Conv2d(c_in + 2, c_out, 3, padding=1)

    def forward(self, x):
        b, _, h, w = x.shape
        grid = torch.stack(torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij"))
        grid = grid.expand(b, -1, -1, -1).to(x.device)  # expect: PA103
        return self.conv(torch.cat([x, grid], 1))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList([CoordConv(1, 4), CoordConv(4, 4)])
        self.out = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        for layer in self.down:
            x = torch.relu(layer(x))
        return self.out(x)


torch.manual_seed(31)
net = Net().to(device)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
pairs = [(torch.rand(2, 1, 8, 8), torch.randint(2, (2, 8, 8))) for _ in range(11)]
for image, mask in pairs:
    image, mask = image.to(device), mask.to(device)
    loss = nn.functional.cross_entropy(net(image), mask)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
