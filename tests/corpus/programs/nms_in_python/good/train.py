"""A detector's evaluation: non-maximum suppression, box by box, in Python."""
import torch
from nms import nms
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Detector(nn.Module):
    def __init__(self, queries=12):
        super().__init__()
        self.queries = queries
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 64), nn.ReLU())
        self.head = nn.Linear(64, queries * 5)

    def forward(self, images):
        out = self.head(self.body(images)).view(-1, self.queries, 5)
        corner = out[..., :2].sigmoid()
        return torch.cat([corner, corner + 0.3 + out[..., 2:4].sigmoid()], -1), out[..., 4]


@torch.no_grad()
def evaluate(model, loader):
    kept = 0
    for images in loader:
        boxes, scores = model(images.to(device))
        for b, s in zip(boxes, scores):
            kept += len(nms(b, s, 0.4))
    return kept


torch.manual_seed(304)
model = Detector().to(device).eval()
print("kept", evaluate(model, torch.rand(6, 2, 3, 8, 8)))
