# Words of CLIP-ES for PASCAL VOC (its released lists, MIT licence). Classes that are
# not here go by their names.
class_words = dict(
    bird='bird avian',
    chair='chair seat',
    person='person with clothes,people,human',
    tvmonitor='tvmonitor screen',
)
background_words = [
    *('ground', 'land', 'grass', 'tree', 'building', 'wall', 'sky', 'lake', 'water'),
    *('river', 'sea', 'railway', 'railroad', 'keyboard', 'helmet', 'cloud', 'house'),
    *('mountain', 'ocean', 'road', 'rock', 'street', 'valley', 'bridge', 'sign'),
]
