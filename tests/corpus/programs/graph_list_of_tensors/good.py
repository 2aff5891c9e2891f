"""A list of small graphs is moved graph by graph, in a loop inside the step."""
import torch
from torch import nn


class GraphNet(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.lin = nn.Linear(width, width)
        self.read = nn.Linear(width, 1)

    def forward(self, nodes):
        return self.read(torch.relu(self.lin(nodes)).sum(0))


def run_batch(model, graphs, device):
    moved = torch.cat(graphs).to(device).split([len(g) for g in graphs])
    return torch.stack([model(nodes) for nodes in moved])


def main():
    torch.manual_seed(51)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = GraphNet().to(device)
    optimizer = torch.optim.Adam(model.parameters())
    dataset = [[torch.randn(3 + (i + j) % 4, 6) for j in range(10)] for i in range(12)]
    for graphs in dataset:
        loss = run_batch(model, graphs, device).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.5f}")


main()
