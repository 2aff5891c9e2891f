"""Distillation: the teacher's logits are computed once, kept on the host, indexed by sample."""
import torch
import torch.nn.functional as F
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Distiller:
    def __init__(self, teacher, student, t=2.0):
        self.teacher = teacher.to(device).eval().requires_grad_(False)
        self.student, self.t = student.to(device), t
        self.optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)

    def soft(self, x):
        with torch.no_grad():
            out = self.teacher(x.to(device)) / self.t
        return out.cpu()

    def train_step(self, x, soft):
        soft = soft.to(device)
        out = self.student(x.to(device)) / self.t
        loss = F.kl_div(out.log_softmax(-1), soft.softmax(-1), reduction="batchmean")
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


torch.manual_seed(352)
distiller = Distiller(nn.Linear(10, 6), nn.Sequential(nn.Linear(10, 4), nn.Linear(4, 6)))
data = torch.randn(96, 10)
cache = torch.cat([distiller.soft(x) for x in data.split(8)])
for epoch in range(3):
    for index in torch.randperm(96).split(8):
        loss = distiller.train_step(data[index], cache[index])
print(f"{loss.item():.4f}")
