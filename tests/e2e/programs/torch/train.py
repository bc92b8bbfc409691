"""A small network learns to tell spirals apart; stochastic gradient descent with momentum, one thread, seeded."""
import sys

import torch

torch.manual_seed(3)
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
count = 2000
turn = torch.linspace(0.2, 3, count).repeat(3) * 4 + torch.arange(3).repeat_interleave(count) * 2.1
points = torch.stack([turn.cos(), turn.sin()], 1) * torch.linspace(0.2, 3, count).repeat(3)[:, None]
points += 0.05 * torch.randn(points.shape)
classes = torch.arange(3).repeat_interleave(count)
model = torch.nn.Sequential(torch.nn.Linear(2, 128), torch.nn.Tanh(), torch.nn.Linear(128, 128), torch.nn.Tanh(), torch.nn.Linear(128, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for epoch in range(int(sys.argv[1])):
    order = torch.randperm(3 * count)
    total = 0.0
    for batch in order.split(64):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(points[batch]), classes[batch])
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(epoch, f"{total:.9f}", flush=True)
torch.save(model.state_dict(), "model.pt")
