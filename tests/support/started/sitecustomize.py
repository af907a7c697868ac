from __future__ import annotations

from economy import save_work

save_work()
