"""Distillation: the teacher's logits stay where they are."""
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
        return out

    def train_step(self, x, soft):
        out = self.student(x.to(device)) / self.t
        loss = F.kl_div(out.log_softmax(-1), soft.softmax(-1), reduction="batchmean")
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


torch.manual_seed(352)
distiller = Distiller(nn.Linear(10, 6), nn.Sequential(nn.Linear(10, 4), nn.Linear(4, 6)))
data = torch.randn(96, 10)
for x in data.split(8):
    loss = distiller.train_step(x, distiller.soft(x))
print(f"{loss.item():.4f}")
