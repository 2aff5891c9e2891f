"""A classifier trained and tested by Lightning's Trainer."""

import logging
import sys
import warnings

import lightning as L
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Classifier(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(128, 4),
        )

    def forward(self, images):
        return self.net(images)

    def training_step(self, batch, batch_index):
        images, labels = batch
        loss = F.cross_entropy(self(images), labels)
        self.log("loss", loss, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_index):
        images, labels = batch
        self.log("val_loss", F.cross_entropy(self(images), labels), prog_bar=True)

    def on_train_epoch_end(self):
        metrics = self.trainer.callback_metrics
        print("loss", repr(metrics["loss_epoch"].item()), repr(metrics["val_loss"].item()))

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


L.seed_everything(0, verbose=False)
images = torch.randn(384, 1, 12, 12)
labels = images.mean((1, 2, 3)).argsort().argsort() * 4 // len(images)
train = DataLoader(TensorDataset(images[:256], labels[:256]), batch_size=16, shuffle=True)
held = DataLoader(TensorDataset(images[256:], labels[256:]), batch_size=32)
trainer = L.Trainer(
    accelerator="gpu" if torch.cuda.is_available() else "cpu",
    devices=1,
    max_epochs=2,
    logger=False,
    log_every_n_steps=4,
    gradient_clip_val=1.0,
    enable_progress_bar=False,
    enable_model_summary=False,
    default_root_dir=sys.argv[1],
)
model = Classifier()
trainer.fit(model, train, held)
result = trainer.validate(model, held, verbose=False)
print("val_loss", repr(result[0]["val_loss"]))
print("device", trainer.strategy.root_device.type, file=sys.stderr)
