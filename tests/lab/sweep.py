"""Remove what the machines of killed processes left: `python3 -m tests.lab.sweep`."""

from tests.lab.slot import sweep

if __name__ == "__main__":
    print("swept:", " ".join(sweep()) or "nothing")
