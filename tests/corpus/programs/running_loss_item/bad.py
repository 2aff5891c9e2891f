"""The tutorial's running loss reads the loss in every step."""
import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(28, 16)
        self.fc2 = nn.Linear(16, 10)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))


def train(epoch, net, loader, criterion, optimizer):
    running_loss = 0.0
    for i, (inputs, labels) in enumerate(loader):
        inputs, labels = inputs.to(device), labels.to(device)
        optimizer.zero_grad()
        loss = criterion(net(inputs), labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()  # expect: PA201
    print(f"epoch {epoch}: {running_loss / len(loader):.4f}")


torch.manual_seed(70)
net = Net().to(device)
loader = DataLoader(TensorDataset(torch.randn(96, 28), torch.randint(10, (96,))), batch_size=8, shuffle=True)
optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
for epoch in range(2):
    train(epoch, net, loader, nn.CrossEntropyLoss(), optimizer)
