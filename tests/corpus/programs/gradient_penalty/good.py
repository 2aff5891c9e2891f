"""WGAN-GP: interpolation weights from the host, inside the penalty helper."""
import torch
from torch import autograd, nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def gradient_penalty(critic, real, fake):
    alpha = torch.rand(real.size(0), 1, device=real.device)
    alpha = alpha.expand(real.size())
    mixed = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    score = critic(mixed)
    (grad,) = autograd.grad(
        outputs=score,
        inputs=mixed,
        grad_outputs=torch.ones_like(score),
        create_graph=True,
        retain_graph=True,
    )
    return ((grad.norm(2, dim=1) - 1) ** 2).mean()


torch.manual_seed(24)
critic = nn.Sequential(nn.Linear(10, 16), nn.Softplus(), nn.Linear(16, 1)).to(device)
optimizer = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.0, 0.9))
real_data, fake_data = torch.randn(12, 8, 10), torch.randn(12, 8, 10)
for real, fake in zip(real_data, fake_data):
    real, fake = real.to(device), fake.to(device)
    loss = critic(fake).mean() - critic(real).mean() + 10 * gradient_penalty(critic, real, fake)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
