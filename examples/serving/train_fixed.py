"""The twin of train.py: requests that wait are answered together; constants stay on the device."""

import argparse
import queue
import threading

import torch
from torch import nn

SIZE = 32
BATCH = 32


class Service:
    """A classifier of images, and the requests that wait for it."""

    def __init__(self, device):
        torch.manual_seed(0)
        self.device = device
        self.model = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 15 * 15, 10)
        )
        self.model.to(device).eval()
        self.mean = torch.tensor([0.485, 0.456, 0.406], device=device)
        self.deviation = torch.tensor([0.229, 0.224, 0.225], device=device)
        is_cuda = device.type == "cuda"
        self.buffer = torch.empty(BATCH, 3, SIZE, SIZE, dtype=torch.uint8, pin_memory=is_cuda)
        self.waiting = queue.Queue()
        self.answers = {}

    @torch.inference_mode()
    def serve(self):
        """Answer requests until one is None."""
        is_open = True
        while is_open:
            requests = self.batch()
            is_open = requests[-1] is not None
            if not is_open:
                requests.pop()
            if requests:
                numbers, images = zip(*requests, strict=True)
                self.answers.update(zip(numbers, self.answer(images), strict=True))

    def batch(self):
        """The next request and those that wait behind it."""
        requests = [self.waiting.get()]
        while len(requests) < BATCH and not self.waiting.empty():
            requests.append(self.waiting.get())
        return requests

    def answer(self, images):
        """The class of each image and its probability."""
        # Reading the last answers has waited for the upload from this buffer too.
        x = torch.stack(images, out=self.buffer[: len(images)])
        x = x.to(self.device, non_blocking=True).div(255)
        x = (x - self.mean[:, None, None]) / self.deviation[:, None, None]
        best = self.model(x).softmax(1).max(1)
        return torch.stack([best.indices, best.values]).T.tolist()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=512)
    args = parser.parse_args()
    service = Service(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    generator = torch.Generator().manual_seed(0)
    for number in range(args.requests):
        image = torch.randint(256, (3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
        service.waiting.put((number, image))
    service.waiting.put(None)
    worker = threading.Thread(target=service.serve)
    worker.start()
    worker.join()
    sure = sum(probability for _, probability in service.answers.values())
    print(f"{len(service.answers)} answers, probability {sure / args.requests:.4f} on average")


if __name__ == "__main__":
    main()
