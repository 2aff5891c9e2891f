"""PPO: clip limits and masks built from constants in the update."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class ActorCritic(nn.Module):
    def __init__(self, obs=6, actions=4):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(obs, 24), nn.Tanh())
        self.pi, self.v = nn.Linear(24, actions), nn.Linear(24, 1)

    def forward(self, obs):
        h = self.body(obs)
        return self.pi(h).log_softmax(-1), self.v(h).squeeze(-1)


class PPO:
    def __init__(self, net, clip=0.2, lr=3e-4):
        self.net, self.clip = net, clip
        self.optimizer = torch.optim.Adam(net.parameters(), lr=lr, eps=1e-5)

    def update(self, obs, act, old_logp, adv, ret):
        logp, value = self.net(obs)
        logp = logp.gather(1, act[:, None]).squeeze(1)
        ratio = (logp - old_logp).exp()
        low = torch.full(ratio.shape, 1 - self.clip).to(ratio)  # expect: PA103
        high = torch.tensor([1.2]).to(ratio.device)  # expect: PA103
        clipped = torch.min(torch.max(ratio, low), high)
        loss = -torch.min(ratio * adv, clipped * adv).mean() + 0.5 * (value - ret).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def main():
    torch.manual_seed(28)
    agent = PPO(ActorCritic().to(device))
    rollout = {
        "obs": torch.randn(96, 6), "act": torch.randint(4, (96,)), "logp": -torch.rand(96),
        "adv": torch.randn(96), "ret": torch.randn(96),
    }
    rollout = {k: v.to(device) for k, v in rollout.items()}
    for start in range(0, 96, 8):
        mb = [v[start : start + 8] for v in rollout.values()]
        loss = agent.update(*mb)
    print(f"{loss.item():.4f}")


main()
