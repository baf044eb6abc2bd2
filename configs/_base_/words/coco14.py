# Words of CLIP-ES for COCO (its released lists, MIT licence), under COCO's own names.
# 'sknowboard' is spelt as its figures were published with.
class_words = {
    'person': 'person with clothes,people,human',
    'motorcycle': 'motorbike',
    'airplane': 'aeroplane',
    'bird': 'bird avian',
    'backpack': 'backpack,bag',
    'umbrella': 'umbrella,parasol',
    'handbag': 'handbag,purse',
    'tie': 'necktie',
    'snowboard': 'sknowboard',
    'baseball glove': 'glove',
    'spoon': 'dessertspoon',
    'chair': 'chair seat',
    'couch': 'sofa',
    'potted plant': 'pottedplant',
    'dining table': 'diningtable',
    'tv': 'tvmonitor screen',
    'remote': 'remote control',
    'hair drier': 'hairdrier,blowdrier',
}
background_words = [
    *('ground', 'land', 'grass', 'tree', 'building', 'wall', 'sky', 'lake', 'water'),
    *('river', 'sea', 'railway', 'railroad', 'helmet', 'cloud', 'house', 'mountain'),
    *('ocean', 'road', 'rock', 'street', 'valley', 'bridge'),
]
