"""The DCGAN tutorial's loop with noise and labels from the host."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(21)
nz, batch = 8, 12
netG = nn.Sequential(nn.Linear(nz, 16), nn.ReLU(True), nn.Linear(16, 20), nn.Tanh()).to(device)
netD = nn.Sequential(nn.Linear(20, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1), nn.Sigmoid()).to(device)
criterion = nn.BCELoss()
optD = torch.optim.Adam(netD.parameters(), lr=2e-4)
optG = torch.optim.Adam(netG.parameters(), lr=2e-4)
images = torch.rand(12, batch, 20)

for real in images:
    real = real.to(device)
    ones = torch.ones(batch, 1).to(device)  # expect: PA103
    zeros = torch.zeros(batch, 1).to(device)  # expect: PA103
    noise = torch.randn(batch, nz)
    noise = noise.to(device)  # expect: PA103

    netD.zero_grad()
    fake = netG(noise)
    lossD = criterion(netD(real), ones) + criterion(netD(fake.detach()), zeros)
    lossD.backward()
    optD.step()

    netG.zero_grad()
    lossG = criterion(netD(fake), ones)
    lossG.backward()
    optG.step()
print("D", round(lossD.item(), 4), "G", round(lossG.item(), 4))
