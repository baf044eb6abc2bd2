# For a method that needs no training: nothing but predicting.
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
