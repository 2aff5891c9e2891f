"""Waveforms are int16; they are scaled to float on the host before the upload."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Waveforms(torch.utils.data.Dataset):
    def __init__(self, n=48, length=400):
        g = torch.Generator().manual_seed(165)
        self.samples = torch.randint(-3000, 3000, (n, length), dtype=torch.int16, generator=g)

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        return self.samples[i], i % 3


def train(model, loader):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for wave, label in loader:
        wave = (wave.to(torch.float32) / 32768.0).to(device)  # expect: PA107
        loss = nn.functional.cross_entropy(model(wave.unsqueeze(1)), label.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


torch.manual_seed(165)
model = nn.Sequential(nn.Conv1d(1, 4, 9, 4), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3)).to(device)
print(f"{train(model, torch.utils.data.DataLoader(Waveforms(), batch_size=4)):.4f}")
