"""A clip of frames is uploaded; the model looks at the first frame only."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(49)


class FrameModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 4))

    def forward(self, clip):
        return self.net(clip)


model = FrameModel().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
clips, labels = torch.rand(12, 3, 16, 8, 8), torch.randint(4, (12, 3))
for clip, label in zip(clips, labels):
    frame = clip.to(device)[:, 0]  # expect: PA105
    loss = nn.functional.cross_entropy(model(frame), label.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
