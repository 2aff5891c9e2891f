"""A tiny BERT, randomly initialised, fine-tuned in a loop of one's own with accelerate."""

import sys

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch.utils.data import DataLoader, TensorDataset
from transformers import BertConfig, BertForSequenceClassification, get_linear_schedule_with_warmup

set_seed(0)
accelerator = Accelerator(gradient_accumulation_steps=2)
config = BertConfig(
    vocab_size=64,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
    max_position_embeddings=32,
    num_labels=2,
)
model = BertForSequenceClassification(config)
tokens = torch.randint(1, 64, (384, 16))
lengths = torch.randint(4, 17, (384, 1))
mask = (torch.arange(16) < lengths).long()
labels = (tokens[:, 0] > 32).long()
data = TensorDataset(tokens * mask, mask, labels)
train = DataLoader(data, batch_size=16, shuffle=True)
test = DataLoader(data, batch_size=32)
# foreach: what a GPU takes of its own accord, so that the numbers can be compared.
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, foreach=True)
schedule = get_linear_schedule_with_warmup(optimizer, 2, 24)
model, optimizer, train, test, schedule = accelerator.prepare(
    model, optimizer, train, test, schedule
)

for epoch in range(2):
    model.train()
    total = torch.zeros((), device=accelerator.device)
    for tokens, mask, labels in train:
        with accelerator.accumulate(model):
            loss = model(input_ids=tokens, attention_mask=mask, labels=labels).loss
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        total += loss.detach()
    accelerator.print("loss", repr(total.item() / len(train)))
    model.eval()
    right = 0
    for tokens, mask, labels in test:
        with torch.no_grad():
            logits = model(input_ids=tokens, attention_mask=mask).logits
        predictions, references = accelerator.gather_for_metrics((logits.argmax(-1), labels))
        right += (predictions == references).sum()
    accelerator.print("accuracy", int(right))
print("device", accelerator.device.type, file=sys.stderr)
