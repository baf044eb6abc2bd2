_base_ = ['../configs/cam/cam_r18_synth.py']
custom_imports = dict(imports=[*_base_.custom_imports.imports, 'folder_names'])
shelf = dict(
    type='FolderNamesDataset',
    data_root='data/shelf',
    data_prefix=dict(img_path='images'),
    tags='images',
    metainfo=dict(classes=('background', 'bottle', 'box', 'tin')),
    _delete_=True,
)
load_from = None  # or a file of weights to start from
model = dict(decode_head=dict(num_classes=4))
train_dataloader = dict(dataset=dict(**shelf, pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(**shelf, pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [dict(type='TagMAPMetric')]
test_evaluator = val_evaluator
