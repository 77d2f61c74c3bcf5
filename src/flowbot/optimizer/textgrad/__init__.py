"""TextGrad (Yuksekgonul et al. 2024, arXiv 2406.07496), plain as published."""
