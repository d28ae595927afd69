// libtorch contains gloo but not its headers, which the header of its process group includes. The files of this folder
// declare as much as that header names; no object of gloo is created, copied or measured by code of this package.
#pragma once
