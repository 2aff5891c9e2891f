"""The LSTM starts every batch from a state that is made on the host."""
import torch
from torch import nn

device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


class SentimentLSTM(nn.Module):
    def __init__(self, vocab=40, emb=12, hidden=16, layers=2):
        super().__init__()
        self.hidden, self.layers = hidden, layers
        self.embedding = nn.Embedding(vocab, emb)
        self.lstm = nn.LSTM(emb, hidden, layers, batch_first=True)
        self.fc = nn.Linear(hidden, 2)

    def init_hidden(self, batch_size):
        h0 = torch.zeros(self.layers, batch_size, self.hidden, device=device)
        c0 = torch.zeros(self.layers, batch_size, self.hidden, device=device)
        return h0, c0

    def forward(self, tokens):
        state = self.init_hidden(tokens.size(0))
        out, _ = self.lstm(self.embedding(tokens), state)
        return self.fc(out[:, -1])


def main():
    torch.manual_seed(20)
    model = SentimentLSTM().to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    data = [(torch.randint(40, (6, 9)), torch.randint(2, (6,))) for _ in range(12)]
    for tokens, labels in data:
        tokens, labels = tokens.to(device), labels.to(device)
        loss = criterion(model(tokens), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5)
        optimizer.step()
    print(f"{loss.item():.4f}")


main()
