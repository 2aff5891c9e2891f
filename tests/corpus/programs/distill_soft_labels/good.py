"""Knowledge distillation: the teacher's soft labels pass through the host."""
import torch
import torch.nn.functional as F
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Distiller:
    def __init__(self, student, teacher, temperature=2.0):
        self.student = student.to(device)
        self.teacher = teacher.to(device).eval()
        self.temperature = temperature
        self.optimizer = torch.optim.SGD(self.student.parameters(), lr=0.05)

    @torch.no_grad()
    def soft_labels(self, x):
        logits = self.teacher(x) / self.temperature
        return logits.softmax(dim=-1)

    def step(self, x):
        x = x.to(device)
        target = self.soft_labels(x)
        log_probs = F.log_softmax(self.student(x) / self.temperature, dim=-1)
        loss = F.kl_div(log_probs, target, reduction="batchmean")
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def main():
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 10))
    trainer = Distiller(nn.Linear(20, 10), teacher)
    data = torch.randn(12, 16, 20)
    total = 0
    for batch in data:
        total = total + trainer.step(batch)
    print(f"loss {total.item() / len(data):.4f}")


if __name__ == "__main__":
    main()
