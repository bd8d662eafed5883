from kagglekit.train._clock import Clock


class Time:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_step_that_might_end_too_late_does_not_begin():
    time = Time()
    clock = Clock(hours=100 / 3600, save_minutes=10, clock=time)
    with clock.pause():
        time.now += 20  # 30 are kept for the next
    for _ in range(10):
        assert not clock.is_over()
        time.now += 4
        clock.tick()
    assert clock.seconds == 60
    assert not clock.is_over()
    time.now += 7  # a slow step: 67 + 7 + 30 is above 100
    clock.tick()
    assert clock.is_over()


def test_a_pause_is_no_step():
    time = Time()
    clock = Clock(hours=30 / 3600, save_minutes=10, clock=time)
    time.now += 1
    clock.tick()
    with clock.pause():
        time.now += 8
    time.now += 1
    clock.tick()
    assert not clock.is_over()  # 10 + 1 + 12


def test_without_hours_it_is_never_over():
    time = Time()
    clock = Clock(hours=None, save_minutes=10, clock=time)
    time.now += 1e9
    assert not clock.is_over()


def test_saving_now_and_then():
    time = Time()
    clock = Clock(hours=None, save_minutes=1, clock=time)
    time.now += 59
    assert not clock.wants_save()
    time.now += 1
    assert clock.wants_save()
    with clock.pause():
        pass
    assert not clock.wants_save()
    assert Clock(hours=None, save_minutes=0, clock=time).wants_save()
