"""What is traded, where and by whom: the products, places and names that the invented leads are made of.

Places, states, pincodes and dialling codes are real and belong together; people and companies are invented.
"""
# ruff: noqa: E501 (tables read better with one row on one line)

from dataclasses import dataclass


@dataclass(frozen=True)
class Product:
    """A product with its category, the unit it is ordered in, and what buyers specify about it."""

    name: str
    category: str
    unit: str
    usage: str
    specifications: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class City:
    """An Indian city with its state, dialling code, pincodes and some localities."""

    name: str
    state: str
    dialling_code: str
    pincodes: tuple[str, ...]
    localities: tuple[str, ...]


@dataclass(frozen=True)
class Country:
    """A country that foreign buyers come from; numbers are its code, a prefix and `free_digits` more digits."""

    iso: str
    calling_code: str
    prefix: str
    free_digits: int
    cities: tuple[str, ...]


# category | products; ... | unit | usage | specification = value, ...; ...
_PRODUCTS = """
Industrial Valves|Cast Steel Gate Valve;SS Ball Valve;Butterfly Valve;Non Return Valve|Piece|Industrial|Size = ½ inch, 1", 2", 100 mm;Pressure Rating = PN 16, Class 150, Class 300
Hydraulic Cylinders|Double Acting Hydraulic Cylinder;Telescopic Hydraulic Cylinder;Hydraulic Power Pack|Piece|Industrial|Bore Diameter = Ø 50 mm, Ø 63 mm, Ø 80 mm;Stroke Length = 300 mm, 500 mm, 1 m
Proximity Sensors|Capacitive Proximity Sensors;Inductive Proximity Switch;Fuel Pressure Regulator Sensor|Piece|Automation|Sensing Distance = 0-0.3 Meter, 4 mm, 8 mm;Output Type = PNP NO, NPN NC
Ball Bearings|Deep Groove Ball Bearing;Tapered Roller Bearing;Pillow Block Bearing|Piece|Automobile|Model = 6205 ZZ, 6308-2RS, UCP 208;Material = Chrome Steel, Stainless Steel
Electric Motors|Three Phase Induction Motor;Flame Proof Motor;Geared Motor;BLDC Motor|Unit|Industrial|Power = 1 HP, 5 HP, 7.5 kW;Speed = 960 RPM, 1440 RPM, 2880 RPM
Submersible Pumps|Openwell Submersible Pump;Solar Water Pump;Sewage Pump;Monoblock Pump|Piece|Agriculture|Power = 1 HP, 3 HP, 7.5 HP;Head = 30 m, 60 m, 120 m
Corrugated Boxes|5 Ply Corrugated Box;Printed Corrugated Box;Pizza Box;Duplex Carton|Piece|Packaging|Dimension (L x W x H) = 12 x 10 x 8 inch, 450 x 300 x 250 mm;Ply = 3 Ply, 5 Ply, 7 Ply
Plastic Bottles|Empty Mineral Water Bottle;HDPE Jerry Can;PET Jar|Piece|Packaging|Capacity = 200 ml, 1 Litre, 5 Litre;Neck Size = 28 mm, 46 mm
Packaging Machines|Automatic Pouch Packing Machine;Shrink Wrapping Machine;Vacuum Packing Machine|Unit|Packaging|Capacity = 20 pouch/min, 60 pouch/min;Automation Grade = Semi-Automatic, Automatic
Industrial Sealants|Loctite Industrial Sealant;Silicone Sealant;Anaerobic Adhesive|Bottle|Maintenance|Packaging Size = 10 Gm To 250gm, 50 ml, 300 ml;Temperature Range = -55 to 150°C, up to 250°C
Cotton Fabrics|Grey Cotton Fabric;Printed Cambric Fabric;Denim Fabric;Home Furnishing Fabric|Meter|Garments|GSM = 60-80, 120 GSM, 200-220;Width = 44", 58 inch, 110 inch
Men's T-Shirts|Round Neck Cotton T-Shirt;Polo T-Shirt;Sublimation T-Shirt|Piece|Resale|Size = S to XXL, M, L;Colour = White, Navy Blue, Assorted
Sarees|Banarasi Silk Saree;Cotton Handloom Saree;Georgette Saree|Piece|Resale|Length = 5.5 m, 6.3 m (with blouse piece);Occasion = Wedding, Daily Wear
Safety Shoes|Steel Toe Safety Shoes;PVC Gumboots;Electrical Safety Shoes|Pair|Industrial Safety|Size = 7 to 10, 8, 9;Sole = PU, Rubber
Basmati Rice|1121 Steam Basmati Rice;1509 Sella Rice;Sona Masoori Rice|Kg|Export|Packaging = 5 kg, 25 kg PP bag, 50 kg jute bag;Grain Length = 8.3 mm, 7.8 mm
Spices|Red Chilli Powder;Turmeric Finger;Green Cardamom;Cumin Seeds|Kg|Food Processing|Grade = A Grade, FAQ, Export Quality;Moisture = 8 % max, < 10 %
Fresh Vegetables|Fresh Red Onion;Potato;Green Chilli|Ton|Wholesale|Size = 45 mm+, 55 mm+;Packaging = 25 kg mesh bag, 50 kg jute bag
Ayurvedic Medicines|Ashwagandha Capsules;Triphala Churna;Chyawanprash|Bottle|Resale|Pack Size = 60 capsules, 100 gm, 1 kg;Form = Capsule, Powder
Pharmaceutical Tablets|Paracetamol Tablets;Pantoprazole Tablets;Calcium Tablets|Box|Hospital|Strength = 40 mg, 500 mg, 650 mg;Packing = 10 x 10, 20 x 15
Surgical Gloves|Latex Examination Gloves;Nitrile Gloves;Surgical Face Mask|Box|Hospital|Size = Small, Medium, Large;Powdered = Powder Free, Powdered
Hospital Furniture|ICU Bed;Hospital Fowler Bed;Patient Examination Table|Unit|Hospital|Finish = Powder Coated, SS 304;Functions = Two Function, Five Function
Laboratory Software|Pathology Laboratory Reporting Software;Billing Software;School Management Software|Piece|Business|Users = Single User, 5 Users, Unlimited;Platform = Cloud Based, Windows
CCTV Cameras|Dome CCTV Camera;IP Bullet Camera;16 Channel DVR|Piece|Security|Resolution = 2 MP, 5 MP, 4K;Night Vision Range = 20 m, 30 m
LED Lights|LED Street Light;LED Panel Light;LED Flood Light|Piece|Commercial|Power = 15 W, 50 W, 200 W;Colour Temperature = 3000 K, 6500 K
Solar Panels|Monocrystalline Solar Panel;Solar Inverter;Solar Street Light|Unit|Residential|Capacity = 335 W, 540 W, 5 kVA;Warranty = 5 Years, 25 Years
Electrical Cables|XLPE Armoured Cable;FR House Wire;Submersible Flat Cable|Meter|Construction|Core = 2 Core, 3.5 Core, 4 Core;Size = 1.5 sq mm, 16 sq mm, 95 sq mm
TMT Bars|Fe 550D TMT Bar;Binding Wire;MS Angle|Ton|Construction|Diameter = 8 mm, 12 mm, 16-25 mm;Grade = Fe 500, Fe 550D
Stainless Steel Pipes|SS 304 Seamless Pipe;SS 316 ERW Pipe;GI Pipe|Kg|Construction|Size = ½ inch, 1.5", 3 inch;Schedule = SCH 10, SCH 40
Ready Mix Concrete|M25 Ready Mix Concrete;AAC Blocks;Fly Ash Bricks;Paver Block|Cubic Meter|Construction|Grade = M20, M25, 7.5 N/mm²;Thickness = 60 mm, 80 mm, 200 mm
Office Furniture|Executive Office Chair;Modular Workstation;Conference Table|Piece|Office|Material = Mesh, Leatherette, Pre-laminated Board;Finish = Matte, Wooden
Kitchen Equipment|Commercial Gas Range;Deep Freezer;Dough Kneader;Bain Marie|Unit|Hotel & Restaurant|Material = SS 304, SS 202;Capacity = 10 kg, 200 Litre
CNC Machines|CNC Turning Center;Vertical Machining Center;Laser Cutting Machine|Unit|Industrial|Bed Size = 3 x 1.5 m, 1300 x 2500 mm;Accuracy = ± 0.01 mm, ± 0.05 mm
Agricultural Machinery|Rotavator;Power Weeder;Seed Drill;Brush Cutter|Unit|Agriculture|Power = 5 HP, 9 HP, 45 HP;Working Width = 5 feet, 7 feet
Fertilizers|NPK Fertilizer;Vermicompost;Humic Acid Flakes|Bag|Agriculture|Packaging = 25 kg, 50 kg;Purity = 95 %, 98 %
Chemicals|Caustic Soda Flakes;Sodium Hypochlorite;Isopropyl Alcohol;Titanium Dioxide|Kg|Industrial|Purity = 98 %, 99.5 %, LR Grade;Packaging = 25 kg bag, 35 kg carboy, 200 L drum
Corporate Gifts|Customised Diary;Ceramic Coffee Mug;Steel Water Bottle;Gift Hamper|Piece|Gifting|Branding = Screen Print, Laser Engraving;Minimum Order = 50, 100
"""

# city | state | dialling code | pincodes | localities
_CITIES = """
Mumbai|Maharashtra|022|400001 400059 400072 400093|Andheri East, Marol MIDC, Lower Parel, Kalbadevi
Navi Mumbai|Maharashtra|022|400701 400703 400705|TTC Industrial Area, Rabale, Turbhe, Vashi
Pune|Maharashtra|020|411001 411014 411018 411026|Bhosari MIDC, Pimpri, Hadapsar, Chakan
Nagpur|Maharashtra|0712|440001 440016 440018|Hingna MIDC, Sitabuldi, Itwari
Nashik|Maharashtra|0253|422001 422007 422010|Satpur, Ambad MIDC
Kolhapur|Maharashtra|0231|416001 416122|Shiroli MIDC, Rajarampuri
Delhi|Delhi|011|110001 110006 110020 110092|Okhla Phase 2, Chandni Chowk, Karol Bagh, Bawana
Noida|Uttar Pradesh|0120|201301 201304 201307|Sector 63, Sec 135, Phase 2
Ghaziabad|Uttar Pradesh|0120|201001 201009 201010|Sahibabad Industrial Area, Meerut Road
Lucknow|Uttar Pradesh|0522|226001 226010 226016|Aminabad, Gomti Nagar, Talkatora
Kanpur|Uttar Pradesh|0512|208001 208012 208022|Panki, Dada Nagar, Jajmau
Agra|Uttar Pradesh|0562|282001 282003 282007|Sikandra, Hing Ki Mandi
Varanasi|Uttar Pradesh|0542|221001 221005|Lanka, Ramnagar
Gurugram|Haryana|0124|122001 122015 122050|Udyog Vihar Phase 4, IMT Manesar
Faridabad|Haryana|0129|121001 121003 121004|Sector 24, Ballabgarh, NIT
Panipat|Haryana|0180|132103 132104|Industrial Area, Barsat Road
Ludhiana|Punjab|0161|141001 141003 141010|Focal Point, Gill Road, Chaura Bazar
Amritsar|Punjab|0183|143001 143006|Batala Road, Hall Bazar
Jalandhar|Punjab|0181|144001 144004|Basti Nau, Industrial Area
Jaipur|Rajasthan|0141|302001 302013 302022|VKI Area, Sitapura, Johari Bazar
Jodhpur|Rajasthan|0291|342001 342005|Basni Phase 2, Sojati Gate
Udaipur|Rajasthan|0294|313001 313003|Sukher, Madri Industrial Area
Ahmedabad|Gujarat|079|380001 380015 382415 382445|Vatva GIDC, Odhav, Naroda
Surat|Gujarat|0261|395002 395003 394210|Ring Road, Udhna, Sachin GIDC
Vadodara|Gujarat|0265|390001 390010|Makarpura GIDC, Alkapuri
Rajkot|Gujarat|0281|360001 360002 360003|Aji GIDC, Gondal Road, Shapar
Bharuch|Gujarat|02642|392001 394116|GIDC, Ankleshwar Road
Morbi|Gujarat|02822|363641 363642|Lakhdhirpur Road, 8-A National Highway
Bengaluru|Karnataka|080|560001 560022 560058 560100|Peenya 2nd Stage, Bommasandra, Rajajinagar
Mysuru|Karnataka|0821|570001 570016|Hebbal Industrial Area, Metagalli
Hubballi|Karnataka|0836|580020 580030|Gokul Road, Tarihal
Mangaluru|Karnataka|0824|575001 575011|Baikampady, Hampankatta
Chennai|Tamil Nadu|044|600001 600032 600058 600098|Ambattur Industrial Estate, Guindy, Parrys
Coimbatore|Tamil Nadu|0422|641001 641006 641021|Ganapathy, Peelamedu, SIDCO
Tiruppur|Tamil Nadu|0421|641601 641604|Avinashi Road, Kongu Nagar
Madurai|Tamil Nadu|0452|625001 625020|K Pudur, Anna Nagar
Salem|Tamil Nadu|0427|636001 636007|Suramangalam, Five Roads
Hyderabad|Telangana|040|500001 500037 500055 500072|KTR Colony, Balanagar, Jeedimetla, Kukatpally
Warangal|Telangana|0870|506002 506007|Hanamkonda, Kazipet
Visakhapatnam|Andhra Pradesh|0891|530001 530012 530016|Autonagar, Gajuwaka
Vijayawada|Andhra Pradesh|0866|520001 520007|Autonagar, Governorpet
Kochi|Kerala|0484|682001 682016 682030|Kalamassery, Edappally, Mattancherry
Thiruvananthapuram|Kerala|0471|695001 695014|Kazhakkoottam, Pattom
Kozhikode|Kerala|0495|673001 673004|West Hill, Feroke
Kolkata|West Bengal|033|700001 700007 700016 700091|Burrabazar, Salt Lake Sector 5, Tangra
Howrah|West Bengal|033|711101 711106|Liluah, Salkia
Siliguri|West Bengal|0353|734001 734005|Sevoke Road, Hill Cart Road
Patna|Bihar|0612|800001 800013|Patliputra Industrial Area, Exhibition Road
Ranchi|Jharkhand|0651|834001 834003|Kokar, Tupudana
Jamshedpur|Jharkhand|0657|831001 832108|Adityapur, Bistupur
Bhubaneswar|Odisha|0674|751001 751010|Rasulgarh, Mancheswar
Raipur|Chhattisgarh|0771|492001 493221|Urla, Siltara
Indore|Madhya Pradesh|0731|452001 452010 452015|Sanwer Road, Palda, Siyaganj
Bhopal|Madhya Pradesh|0755|462001 462023|Govindpura, MP Nagar
Guwahati|Assam|0361|781001 781005|Fancy Bazar, Bamunimaidam
Dehradun|Uttarakhand|0135|248001 248110|Selaqui, Paltan Bazar
Haridwar|Uttarakhand|01334|249401 249403|SIDCUL, Jwalapur
Baddi|Himachal Pradesh|01795|173205|Jharmajri, Bhud
Jammu|Jammu and Kashmir|0191|180001 180010|Gangyal, Bari Brahmana
Panaji|Goa|0832|403001|Patto, Taleigao
"""

# iso | calling code | prefix | free digits | cities; prefixes of the UK and the US are reserved for fiction
_COUNTRIES = """
LK|94|784000|3|Colombo, Kandy
AE|971|50000|4|Dubai, Sharjah
SA|966|5000|5|Riyadh, Jeddah
NP|977|984000|4|Kathmandu, Biratnagar
BD|880|17100|5|Dhaka, Chattogram
RU|7|980000|4|Moscow, Kazan
ZA|27|61000|4|Johannesburg, Durban
GB|44|7700900|3|London, Leicester
US|1|20255501|2|Houston, Edison
AU|61|49157|4|Sydney, Melbourne
KE|254|70000|4|Nairobi, Mombasa
SG|65|8000|4|Singapore
DE|49|1520000|4|Hamburg, Köln
"""

_FIRST_NAMES = """
Aarav Abdul Aditi Ajay Akash Amit Anil Anita Anjali Arjun Arun Asha Ashok Balwinder Bhavesh Chetan Deepa Deepak Dinesh
Farhan Ganesh Gaurav Geeta Gurpreet Harish Hemant Imran Ishita Jagdish Jignesh Jyoti Kamal Karthik Kavita Kiran Lakshmi
Madhava Mahesh Manoj Meena Mohan Mohammed Mukesh Nandini Naresh Naveen Neha Nilesh Nitin Pankaj Parth Pooja Prabhat
Prakash Pranav Preeti Priya Rahul Raj Rajesh Ramesh Ravi Rekha Ritu Rohit Sachin Sandeep Sanjay Santosh Sarita Shahid
Shailesh Shreya Sneha Sreenivas Subhash Sunil Sunita Suresh Swapnil Tarun Uday Usha Vandana Venkatesh Vijay Vikas Vinod
Vishal Yash Yogesh Zubair
"""

_LAST_NAMES = """
Agarwal Ahmed Ansari Bansal Bhat Bose Chatterjee Chauhan Chavan Chopra Das Desai Deshmukh Dubey Fernandes Gandhi Ghosh
Gill Gowda Gupta Iyer Jadhav Jain Joshi Kadam Kapoor Kaur Khan Kulkarni Kumar Lodha Mahajan Mehta Menon Mishra Modi
Mukherjee Nair Naidu Pandey Patel Patil Pillai Prajapati Qureshi Rajput Rao Rathore Reddy Saxena Shah Sharma Shekhar
Shetty Shinde Singh Sinha Solanki Soni Srinivasan Tiwari Thakur Trivedi Varma Verma Yadav
"""

_COMPANY_WORDS = """
Balaji|Shree Ganesh|Bharat|Kanchi|Om Sai|Sri Venkateswara|Maa Durga|Royal|National|Sunrise|Himalaya|Deccan|Konark|Apex
Vardhman|Navkar|Al Madina|Jay Ambe|Swastik|Perfect|Galaxy|New India|Krishna|Laxmi|Tirupati|Universal|Sai Kripa|Global
"""

_COMPANY_KINDS = """
Enterprises|Industries|Traders|Engineering Works|Agencies|Designs Pvt. Ltd.|Exports|Polymers LLP|Automation|& Sons
Textiles|Pharma|Foods Pvt Ltd|Infra Projects|Hardware & Tools|Packaging Solutions|Electricals|Agro Products|& Co.
Constructions (India) Pvt. Ltd.|Hospital & Research Centre|"The Gift Shop"|International
"""


def _rows(table: str) -> list[list[str]]:
    return [line.split("|") for line in table.strip().splitlines()]


def _list(text: str, separator: str = ",") -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(separator))


def _specifications(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    pairs = [part.split(" = ", 1) for part in text.split(";")]
    return tuple((name.strip(), _list(values)) for name, values in pairs)


PRODUCTS = tuple(
    Product(name.strip(), category, unit, usage, _specifications(specifications))
    for category, names, unit, usage, specifications in _rows(_PRODUCTS)
    for name in names.split(";")
)
CITIES = tuple(
    City(name, state, code, tuple(pincodes.split()), _list(localities))
    for name, state, code, pincodes, localities in _rows(_CITIES)
)
COUNTRIES = tuple(
    Country(iso, code, prefix, int(free), _list(cities)) for iso, code, prefix, free, cities in _rows(_COUNTRIES)
)
FIRST_NAMES = tuple(_FIRST_NAMES.split())
LAST_NAMES = tuple(_LAST_NAMES.split())
COMPANY_WORDS = tuple(word for row in _rows(_COMPANY_WORDS) for word in row)
COMPANY_KINDS = tuple(kind for row in _rows(_COMPANY_KINDS) for kind in row)

ORDER_VALUES = (
    "Upto Rs. 1,000",
    "Rs. 1,000 to 3,000",
    "Rs. 3,000 to 10,000",
    "Rs. 10,000 to 20,000",
    "Rs. 20,000 to 50,000",
    "Rs. 50,000 to 1 Lakh",
    "Rs. 1 to 2 Lakh",
    "Rs. 2 to 5 Lakh",
    "Rs. 5 to 10 Lakh",
    "Rs. 10 to 20 Lakh",
    "Rs. 20 to 50 Lakh",
    "Rs. 50 Lakh to 1 Crore",
    "Rs. 1 to 2 Crore",
    "More than Rs. 2 Crore",
    "More than 50,000",
)
PREFERRED_LOCATIONS = (
    "Suppliers from all over India can contact",
    "Suppliers from Local Area will be Preferred",
    "Anywhere in India",
)
